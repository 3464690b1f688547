// The tools every agent can be given. A new one is a file here and a line in this list.
import type { Tool } from "../tool.ts";
import { editTool } from "./edit.ts";
import { globTool } from "./glob.ts";
import { grepTool } from "./grep.ts";
import { readTool } from "./read.ts";
import { shellTool } from "./shell.ts";
import { writeTool } from "./write.ts";

export const builtinTools: readonly Tool[] = [
  readTool,
  writeTool,
  editTool,
  globTool,
  grepTool,
  shellTool,
];
