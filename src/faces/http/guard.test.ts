import assert from "node:assert/strict";
import { test } from "node:test";
import { isLoopback, type Listener, refusedBecause } from "./guard.ts";

const local: Listener = { host: "127.0.0.1", port: 4141, isTls: false };

const passes = (listener: Listener, host: string | undefined, origin?: string) =>
  refusedBecause(listener, { host, origin }) === undefined;

test("a hub on loopback answers to its loopback names and its port, and to nothing else", () => {
  for (const host of [
    "127.0.0.1:4141",
    "localhost:4141",
    "LOCALHOST:4141",
    "[::1]:4141",
    "127.0.0.2:4141",
  ]) {
    assert.equal(passes(local, host), true, host);
  }
  for (const host of [
    undefined,
    "",
    "127.0.0.1",
    "127.0.0.1:4142",
    "evil.example:4141",
    "127.0.0.1.evil.example:4141",
    "localhost.evil.example:4141",
    "127.evil.example:4141",
    "192.168.1.5:4141",
    "[::2]:4141",
    "localhost:4141:4141",
    "user@localhost:4141",
    "localhost:4141/x",
    "localhost :4141",
  ]) {
    assert.equal(passes(local, host), false, String(host));
  }
});

test("a page of another site is refused even when it knows the address", () => {
  assert.equal(passes(local, "localhost:4141", "http://localhost:4141"), true);
  for (const origin of [
    "http://evil.example",
    "null",
    "https://localhost:4141",
    "http://localhost:4142",
    "http://localhost",
    "http://127.0.0.1:4141",
    "http://localhost:4141.evil.example",
  ]) {
    assert.equal(passes(local, "localhost:4141", origin), false, origin);
  }
});

test("a configured name is answered to; a hub that listens everywhere answers to addresses only", () => {
  const named: Listener = { host: "hub.example", port: 443, isTls: true };
  const open: Listener = { host: "0.0.0.0", port: 4141, isTls: false };

  assert.equal(passes(named, "hub.example"), true);
  assert.equal(passes(named, "hub.example:443", "https://hub.example:443"), true);
  assert.equal(passes(named, "other.example"), false);
  assert.equal(passes(open, "192.168.1.5:4141"), true);
  assert.equal(passes(open, "[fd00::1]:4141"), true);
  assert.equal(passes(open, "rebound.example:4141"), false);
});

test("only this machine's own addresses count as loopback", () => {
  for (const host of ["127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9"]) {
    assert.equal(isLoopback(host), true, host);
  }
  for (const host of ["0.0.0.0", "::", "192.168.0.1", "127.evil.example", "hub.example", ""]) {
    assert.equal(isLoopback(host), false, host);
  }
});
