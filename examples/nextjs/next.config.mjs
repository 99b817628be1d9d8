/** @type {import("next").NextConfig} */
export default {
  output: "standalone", // node_modules with what is used, and nothing else
  images: { unoptimized: true }, // else pictures are written to .next/cache, and sharp is wanted
};
