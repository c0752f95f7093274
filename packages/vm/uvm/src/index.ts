export { UvmObject } from "./object.ts";
export { DONTCARE, PageQueue, Pg, Pgo } from "./page.ts";
export { PAGER_MAP_SIZE, PagerMap } from "./pager.ts";
export { Ufp, UvmPages } from "./pages.ts";
export { PageQueues } from "./queues.ts";
