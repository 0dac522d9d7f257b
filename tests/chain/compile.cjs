// Solidity to bytecode: standard JSON on stdin, standard JSON on stdout; the compiler reads no file by itself.
const solc = require("solc");
let asked = "";
process.stdin.on("data", (part) => (asked += part));
process.stdin.on("end", () => process.stdout.write(solc.compile(asked)));
