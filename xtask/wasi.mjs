import { WASI } from "node:wasi";
import { readFile } from "node:fs/promises";
import { argv, env, exit } from "node:process";
const wasi = new WASI({ version: "preview1", args: argv.slice(2), env, preopens: { "/": "/" }, returnOnExit: true});
const module = await WebAssembly.compile(await readFile(argv[2]));
exit(wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject())));
