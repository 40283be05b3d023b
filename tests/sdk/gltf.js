// Checks every model of a folder with the validator of Khronos, and reports what it finds.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import validator from 'gltf-validator';

const folder = process.argv[2];
let failed = false;
for (const name of (await readdir(folder)).sort()) {
  const report = await validator.validateBytes(new Uint8Array(await readFile(join(folder, name))), { uri: name });
  // A bone of a figure that is made of very few triangles may have none of them.
  const messages = report.issues.messages.filter(({ code }) => code !== 'NODE_EMPTY');
  if (messages.length > 0) {
    failed = true;
    console.log(name, JSON.stringify(messages.slice(0, 3)));
  }
  console.log(`valid ${name} ${report.info.totalTriangleCount} ${report.info.animationCount}`);
}
process.exitCode = failed ? 1 : 0;
