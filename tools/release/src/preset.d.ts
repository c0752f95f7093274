/** size-limit types its presets nowhere; to a caller one is a list to hand on. */
declare module "@size-limit/preset-small-lib" {
  const plugins: (...args: unknown[]) => unknown;
  export default plugins;
}
