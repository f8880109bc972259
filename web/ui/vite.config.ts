import { defineConfig } from "vite";

// The page is served by the program from `/`; hashed names below `/assets` never change their content.
export default defineConfig({
  base: "/",
  build: {
    outDir: "dist/page",
    emptyOutDir: true,
    target: "es2022",
    // The page's content security policy allows no data: URL but images.
    assetsInlineLimit: 0,
    // Of the libraries that are bundled, as their licences ask.
    license: { fileName: "assets/licenses.txt" },
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: { "/api": { target: "http://127.0.0.1:3000", ws: true }, "/live": "http://127.0.0.1:3000" },
  },
});
