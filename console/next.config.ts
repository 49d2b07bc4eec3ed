import type { NextConfig } from "next";

const config: NextConfig = {
  output: "export",
  // `out/kills/index.html`: a static server needs no rewrites.
  trailingSlash: true,
  images: { unoptimized: true },
  // `npm run typecheck` is a step of its own, with the whole of tsconfig.json.
  typescript: { ignoreBuildErrors: true },
  turbopack: {
    root: import.meta.dirname,
    resolveAlias: {
      // Radix locks scrolling with a `<style>` element, which `style-src 'self'` refuses.
      "react-remove-scroll": "./src/ui/scroll-lock.tsx",
    },
  },
};

export default config;
