"use strict";
// Evaluates JavaScript for the one client at the other end of standard input and output (javascript.py), as
// cwl_utils' own cwlNodeEngine*.js do. What leaves Node's `vm` is in this process; its unit says what that can reach.
const { Worker, isMainThread, parentPort } = require("worker_threads");

// How long a client may be silent, in seconds; javascript.py has it, too.
const LIFETIME = 60;

// This thread evaluates nothing, so that it sees that the client is gone while the other one is busy.
function attend() {
  const worker = new Worker(__filename, { stdout: true, stderr: true });
  worker.stdout.resume(); // of JavaScript that found a way to write there: nobody's
  worker.stderr.resume();
  const reply = (line) => process.stdout.write(line + "\n");
  // Not process.exit(), which waits for the other thread to stop.
  const end = () => process.kill(process.pid, "SIGTERM");
  const wait = () => setTimeout(end, LIFETIME * 1000);
  let idle = wait();
  worker.on("message", (line) => {
    idle = wait();
    reply(line);
  });
  worker.on("error", (error) => {
    reply(JSON.stringify(["", `Node.js: ${error}`]));
    process.exit(1);
  });
  worker.on("exit", () => process.exit(1));
  require("readline")
    .createInterface({ input: process.stdin })
    .on("line", (line) => {
      clearTimeout(idle);
      worker.postMessage(line);
    })
    .on("close", end);
  process.stdout.on("error", end);
  reply('"ready"');
}

function evaluate() {
  const vm = require("vm");
  const util = require("util");
  let context;
  parentPort.on("message", (line) => {
    const request = JSON.parse(line);
    const said = [];
    const say = (kind, values) => said.push(`[${kind}] ` + util.format(...values).split("\n").join(`\n[${kind}] `));
    const console = { log: (...values) => say("log", values), error: (...values) => say("err", values) };
    let value = "";
    try {
      if (request.context) context = vm.runInNewContext(request.context, {});
      value = String(JSON.stringify(vm.runInNewContext(request.code, context || (request.console ? { console } : {}))));
    } catch (error) {
      said.push(util.inspect(error));
    }
    parentPort.postMessage(JSON.stringify([value, said.join("\n")]));
  });
}

(isMainThread ? attend : evaluate)();
