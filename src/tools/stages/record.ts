// A3. The intent is durable before the effect: after a crash nobody has to guess what was begun.
import { checkedOf, type Stage } from "./stage.ts";

export function record(): Stage {
  return {
    name: "record",
    async walk(call, next) {
      const { tool, arguments: args } = checkedOf(call);
      // A repeat was recorded when it began the first time.
      if (!call.isRepeat) {
        await call.recorder.began({
          call: call.requested.id,
          tool: tool.name,
          effect: tool.effect,
          arguments: args,
          ...(tool.kind === "shell" ? { sandbox: call.place.sandbox.name } : {}),
        });
      }
      return next(call);
    },
  };
}
