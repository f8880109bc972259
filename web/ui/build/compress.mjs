// Writes x.br and x.gz beside each text file of the built page, so that the program only has to pick one.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = new URL("../dist/page", import.meta.url).pathname;
const entries = await readdir(folder, { recursive: true, withFileTypes: true });
const texts = entries.filter((entry) => entry.isFile() && /\.(js|css|html|svg|txt)$/.test(entry.name));
let [plain, packed] = [0, 0];
for (const entry of texts) {
  const path = join(entry.parentPath, entry.name);
  const bytes = await readFile(path);
  const brotli = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
  await writeFile(`${path}.br`, brotli);
  await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  plain += bytes.length;
  packed += brotli.length;
}
console.log(
  `${texts.length} files: ${Math.round(plain / 1024)} KiB, ${Math.round(packed / 1024)} KiB as brotli`,
);
