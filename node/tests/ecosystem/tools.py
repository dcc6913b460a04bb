"""What the suites have in common: the server, the cache, running a program, and reading what its tests say."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("P2PDB_ECOSYSTEM_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "p2pdb-ecosystem")
SUITE_SECONDS_MAX = 3600
INSTALL_TRIES = 3
INSTALL_PAUSE_SECONDS = 5


class Server:
    """Where a MySQL server listens, and how to log in."""

    def __init__(self, host, port, user, password):
        self.host, self.port, self.user, self.password = host, port, user, password

    def url(self, scheme, database):
        return f"{scheme}://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def environment(self, database):
        """How the programs in this directory are told where to connect."""
        return {"DB_HOST": self.host, "DB_PORT": str(self.port), "DB_USER": self.user,
                "DB_PASSWORD": self.password, "DB_NAME": database}


class Suite:
    """One suite's run: what it may use, and what became of its tests."""

    def __init__(self, suite, server, short):
        self.suite, self.server, self.short = suite, server, short
        self.version, self.passed, self.skipped, self.seconds = "", 0, 0, 0.0
        self.failed, self.known, self.stale = [], [], []
        self.database = "eco_" + re.sub(r"\W", "_", suite)
        self.environment = server.environment(self.database)

    def noted(self):
        """The result as JSON has it; whether a failure is known is judged anew when it is read."""
        fields = {name: getattr(self, name) for name in ("suite", "version", "passed", "skipped", "seconds")}
        return fields | {"failed": self.observed}

    @classmethod
    def from_noted(cls, noted):
        result = cls(noted["suite"], Server("", 0, "", ""), False)
        for name in ("version", "passed", "skipped", "seconds", "date", "commit"):
            setattr(result, name, noted[name])
        result.failed = [tuple(failure) for failure in noted["failed"]]
        result.judge()
        return result

    def fail(self, test, reason):
        self.failed.append((test, one_line(reason)))

    def expect(self, test, holds, reason):
        if holds:
            self.passed += 1
        else:
            self.fail(test, reason)

    def judge(self):
        """Parts the failures into known ones and others. A pattern that matched nothing is stale, in a full run."""
        patterns = known_failures(self.suite)
        unmatched = set(patterns)
        failed, self.failed = self.failed, []
        self.observed = failed
        for test, reason in failed:
            pattern = next((p for p in patterns if matches(p, test)), None)
            unmatched.discard(pattern)
            (self.known if pattern else self.failed).append((test, patterns[pattern] if pattern else reason))
        self.stale = [] if self.short else sorted(unmatched)

    def fresh_databases(self, *names):
        """Makes the suite's database (or those named) anew."""
        self.sql("".join(f"DROP DATABASE IF EXISTS `{name}`; CREATE DATABASE `{name}`;"
                         for name in names or [self.database]))

    def client(self, program, *arguments):
        """The command line of a MariaDB program that is logged in."""
        server = self.server
        return [program, f"--host={server.host}", f"--port={server.port}", f"--user={server.user}",
                f"--password={server.password}", *arguments]

    def client_version(self, program):
        return run([program, "--version"]).stdout

    def sql(self, text, database=None):
        """Runs SQL by the command-line client; its output as tab-separated text."""
        return run(self.client("mariadb", "--batch", "--skip-column-names", *([database] if database else [])),
                   input=text).stdout

    def pytest(self, python, directory, *arguments, environment=None):
        """Runs pytest there and counts what its report says."""
        report = CACHE / f"{self.suite}.xml"
        report.unlink(missing_ok=True)
        done = run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", f"--junitxml={report}",
                    *arguments], cwd=directory, env=environment, check=False)
        if not report.exists():
            raise RuntimeError("pytest wrote no report: " + (done.stdout + done.stderr)[-600:])
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            trouble = case.find("failure") if case.find("failure") is not None else case.find("error")
            if trouble is not None:
                self.fail(name, trouble.get("message") or trouble.text or "")
            elif case.find("skipped") is not None:
                self.skipped += 1
            else:
                self.passed += 1

    def checks(self, command, **options):
        """Runs one of our own programs: it prints `version TEXT`, `ok NAME` and `not ok NAME: REASON`, and `done` last."""
        environment = self.environment | options.pop("env", {})
        done = run(command, env=environment, check=False, **options)
        for line in done.stdout.splitlines():
            if line.startswith("version "):
                self.version = line.removeprefix("version ")
            elif line.startswith("ok "):
                self.passed += 1
            elif line.startswith("not ok "):
                name, _, reason = line.removeprefix("not ok ").partition(": ")
                self.fail(name, reason)
        if done.returncode != 0 or not done.stdout.rstrip().endswith("done"):
            self.fail("(runs to its end)", (done.stdout[-300:] + done.stderr[-900:]) or f"exit {done.returncode}")


def known_failures(suite):
    """The patterns of a suite and their reasons. A line: suite, pattern (`*` is any text), reason, by tabs."""
    known = {}
    for line in (HERE / "known_failures.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, pattern, reason = line.split("\t")
            if name == suite:
                known[pattern] = reason
    return known


def matches(pattern, test):
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), test, re.S) is not None


def one_line(text):
    return " ".join(text.split())


def run(command, cwd=None, env=None, check=True, input=None, timeout=SUITE_SECONDS_MAX):
    """Runs a program to its end, in an environment with `env` added; raises with what it said when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=os.environ | (env or {}), input=input,
                          text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
    if check and done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-600:].strip()}")
    return done


def install(command, cwd=None):
    """Runs a program that loads from a package registry; once more, or twice, when the registry did not answer."""
    for left in reversed(range(INSTALL_TRIES)):
        try:
            return run(command, cwd=cwd)
        except RuntimeError:
            if not left:
                raise
            time.sleep(INSTALL_PAUSE_SECONDS)


def debian(programs):
    """Installs the Debian packages of the programs (or files) that are missing: {program or path: package}."""
    missing = [package for program, package in programs.items()
               if not shutil.which(program) and not pathlib.Path(program).exists()]
    if missing:
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        install([*as_root, "apt-get", "update", "-q"])
        install([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-q", "-y",
             "--no-install-recommends", *missing])


def debian_source(package, release):
    """The upstream source of a Debian package, unpacked in the cache: for tests that no package registry carries."""
    folder = CACHE / "debian" / package
    if not any(folder.glob("*/")):
        lists = CACHE / "debian/lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        sources = CACHE / "debian/sources.list"
        sources.write_text("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                           f"http://deb.debian.org/debian {release} main\n")
        options = ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=/dev/null",
                   "-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=root"]
        install(["apt-get", *options, "update", "-q"])
        install(["apt-get", *options, "source", "-q", "--download-only", "--tar-only", package], cwd=folder)
        run(["tar", "xJf", next(folder.glob("*.orig.tar.xz"))], cwd=folder)
    return next(path for path in folder.iterdir() if path.is_dir())


def venv(name, *requirements):
    """A Python environment of its own with these requirements; its interpreter."""
    folder = CACHE / "venv" / name
    stamp = folder / "p2pdb-requirements.txt"
    if not stamp.exists() or stamp.read_text().split() != list(requirements):
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        install([folder / "bin/pip", "install", "-q", "--disable-pip-version-check", *requirements])
        stamp.write_text("\n".join(requirements))
    return folder / "bin/python"


def python_source(python, requirement):
    """The source distribution of a Python package, unpacked in the cache."""
    folder = CACHE / "source" / requirement
    if not any(folder.glob("*/")):
        part = folder.with_name(requirement + ".part")  # what is cut off halfway is not taken for the whole
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        part.mkdir(parents=True)
        install([python, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:",
                 requirement], cwd=part)
        archive = next(part.glob("*.tar.gz"))
        run(["tar", "xzf", archive.name], cwd=part)
        archive.unlink()
        part.rename(folder)
    return next(path for path in folder.iterdir() if path.is_dir())


def npm(*packages):
    """A folder of node packages; programs are copied there to find them."""
    folder = CACHE / "npm"
    stamp = folder / "p2pdb-packages.txt"
    if not stamp.exists() or stamp.read_text().split() != list(packages):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(["npm", "install", "--prefix", folder, "--silent", "--no-audit", "--no-fund", *packages])
        stamp.write_text("\n".join(packages))
    return folder
