import { expect, test } from "vitest";
import { formatStatus, headDoorbell, STATUS_DNR, Status, tailDoorbell } from "../src/regs.ts";

test("formatStatus: name, number, and whether a retry helps", () => {
  expect(formatStatus(Status.LBA_RANGE | STATUS_DNR)).toBe("LBA_RANGE (0x080), do not retry");
  expect(formatStatus(Status.UNRECOVERED_READ)).toBe("UNRECOVERED_READ (0x281)");
  expect(formatStatus(0x1ff)).toBe("command specific status (0x1ff)");
  expect(formatStatus(0x7c0)).toBe("vendor status (0x7c0)");
});

test("doorbells: pairs of words, 4 << DSTRD bytes apart", () => {
  expect([tailDoorbell(0, 0), headDoorbell(0, 0), tailDoorbell(1, 0)]).toEqual([
    0x1000, 0x1004, 0x1008,
  ]);
  expect(headDoorbell(2, 2)).toBe(0x1000 + 5 * 16);
});
