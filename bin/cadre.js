#!/usr/bin/env node
// Starts Cadre. Written in old syntax, so that an old Node can read it and say what it lacks.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";
import { homedir } from "node:os";
import { dirname, join, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NODE_MAJOR_MIN = 24;
/** Not ready: see `cadre help exit`. */
const EXIT_NOT_READY = 5;
const EXIT_BUG = 70;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isCheckout =
  existsSync(join(root, "src", "main.ts")) && root.indexOf(`${sep}node_modules${sep}`) === -1;
const major = Number(process.versions.node.split(".")[0]);

if (major >= NODE_MAJOR_MIN) start();
else if (ownNode() !== undefined) startWith(ownNode());
else refuse();

function start() {
  cacheCode();
  const entry = isCheckout ? join(root, "src", "main.ts") : join(root, "dist", "main.js");
  import(pathToFileURL(entry).href)
    .then((program) => program.main(process.argv.slice(2)))
    .catch(notStarted);
}

function notStarted(error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND") {
    console.error(error);
    process.exit(EXIT_BUG);
  }
  const how = isCheckout ? "npm ci" : "npm install --global cadre";
  process.stderr.write(`x A part of Cadre is not installed: ${error.message}\n  -> ${how}\n`);
  process.exit(EXIT_NOT_READY);
}

/** Compiled code is kept for the next start. Only speed depends on it: a failure is no matter. */
function cacheCode() {
  try {
    nodeModule.enableCompileCache(
      isCheckout
        ? join(root, "node_modules", ".cache", "cadre")
        : join(homedir(), ".cache", "cadre"),
    );
  } catch {
    // A read-only folder, or a Node without the cache.
  }
}

/** The Node that `npm ci` brings along in a checkout. */
function ownNode() {
  const path = join(root, "node_modules", "node", "bin", "node");
  return isCheckout && existsSync(path) ? path : undefined;
}

function startWith(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), {
    stdio: "inherit",
  });
  // Ctrl C reaches the whole group by itself; passed on, it would count as pressed twice.
  const passOn = (signal) => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  };
  ["SIGINT", "SIGTERM", "SIGHUP"].forEach((signal) => {
    process.on(signal, passOn);
  });
  child.on("error", refuse);
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeListener(signal, passOn);
    process.kill(process.pid, signal);
  });
}

function refuse() {
  const how = isCheckout
    ? `  -> npm ci                 brings Node ${NODE_MAJOR_MIN} into this folder;
  -> npx cadre, npm start   then use it by themselves
`
    : `  -> https://nodejs.org     install Node ${NODE_MAJOR_MIN} or later
`;
  const found = `this is Node ${process.versions.node}, ${process.execPath}`;
  process.stderr.write(`x Cadre needs Node ${NODE_MAJOR_MIN} or later; ${found}.\n${how}`);
  process.exit(EXIT_NOT_READY);
}
