"""An application with a history of migrations."""
