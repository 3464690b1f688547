// One finding of `cadre doctor`: what was tried on this machine, and how to mend it.
export type Check = {
  /** At most 12 characters: `Sandbox`, `git`, `Port 4141`. */
  readonly name: string;
  /** fail: agents can't run. warn: something is off, work goes on. */
  readonly level: "ok" | "warn" | "fail";
  /** What was tried and found, one line. */
  readonly found: string;
  /** Commands or sentences that mend it. */
  readonly mend: readonly string[];
};
