import { defineConfig } from "vite";

// `npm run dev` passes calls on to a server that `tillbook serve --sandbox` runs,
// so that neither in development nor in production the page needs CORS.
export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // The server's policy allows no script or style in the page itself.
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "^/tillbook\\.": process.env["TILLBOOK_URL"] ?? "http://127.0.0.1:8080" },
  },
});
