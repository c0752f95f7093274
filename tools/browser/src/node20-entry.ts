/**
 * What runs under Node 20: plans from stdin, results to stdout.
 */
import { readFileSync } from "node:fs";
import { runInNode } from "./in-node.ts";
import type { Node20Report } from "./node20.ts";
import type { Plan, RunResult } from "./run-one.ts";

const plans: Plan[] = JSON.parse(readFileSync(0, "utf8"));
const results: RunResult[][] = [];
for (const plan of plans) results.push(await runInNode(plan));
const machine = import.meta.resolve("@physio/machine");
const report: Node20Report = { version: process.version, machine, results };
process.stdout.write(JSON.stringify(report));
