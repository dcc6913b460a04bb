// What the node programs share: where the server is, and how they say what came of each check.
const assert = require('node:assert/strict');

const server = {
  host: process.env.DB_HOST,
  port: Number(process.env.DB_PORT),
  user: process.env.DB_USER,
  password: process.env.DB_PASSWORD,
  database: process.env.DB_NAME,
};

function program(version, body) {
  console.log(`version ${version}`);
  const check = async (name, run) => {
    try {
      await run();
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`not ok ${name}: ${String(error.message || error).replace(/\s+/g, ' ')}`);
    }
  };
  body(check).then(
    () => { console.log('done'); process.exit(0); },
    (error) => { console.error(error); process.exit(1); },
  );
}

const version = (name) => {
  const { readFileSync } = require('node:fs');
  return JSON.parse(readFileSync(`${process.env.NODE_PATH}/${name}/package.json`, 'utf8')).version;
};

module.exports = { assert, server, program, version };
