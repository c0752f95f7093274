/**
 * What the chip says of itself: the pages of Identify (NVM Express 1.4, 5.15).
 *
 * Each function fills a page of 4096 bytes that holds zeros.
 */
import { PAGE_SIZE } from "@physio/kern";
import type { ChipSettings } from "./hw-config.ts";
import { HELD_MAX } from "./hw-engine.ts";
import {
  CQE_SHIFT,
  FR_LENGTH,
  IdCtrl,
  IdNs,
  LPA_EXTENDED,
  MN_LENGTH,
  Oncs,
  SN_LENGTH,
  SQE_SHIFT,
  VERSION_1_4,
} from "./regs.ts";

/** Aborts that may run at a time. */
export const ABORTS_MAX = 4;
/** Entries that the error log keeps. */
export const ERROR_LOG_MAX = 16;
export const FIRMWARE = "1.0";

/** `text` in a field of `length` bytes, blanks behind. => ASCII. */
export function putText(page: Uint8Array, at: number, length: number, text: string): void {
  for (let i = 0; i < length; i++) page[at + i] = i < text.length ? text.charCodeAt(i) : 0x20;
}

/** A 64-bit number. => below 2^53. */
export function putNumber(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

/** 5.15.2.2 */
export function identifyController(page: DataView, settings: ChipSettings): void {
  const bytes = new Uint8Array(page.buffer, page.byteOffset, page.byteLength);
  putText(bytes, IdCtrl.SN, SN_LENGTH, settings.serial);
  putText(bytes, IdCtrl.MN, MN_LENGTH, settings.model);
  putText(bytes, IdCtrl.FR, FR_LENGTH, FIRMWARE);
  page.setUint8(IdCtrl.MDTS, Math.log2(settings.maxTransfer / PAGE_SIZE));
  page.setUint16(IdCtrl.CNTLID, 1, true);
  page.setUint32(IdCtrl.VER, VERSION_1_4, true);
  page.setUint8(IdCtrl.CNTRLTYPE, 1);
  page.setUint8(IdCtrl.ACL, ABORTS_MAX - 1);
  page.setUint8(IdCtrl.AERL, HELD_MAX - 1);
  page.setUint8(IdCtrl.FRMW, 1 << 1); // one slot
  page.setUint8(IdCtrl.LPA, LPA_EXTENDED);
  page.setUint8(IdCtrl.ELPE, ERROR_LOG_MAX - 1);
  page.setUint8(IdCtrl.SQES, (SQE_SHIFT << 4) | SQE_SHIFT);
  page.setUint8(IdCtrl.CQES, (CQE_SHIFT << 4) | CQE_SHIFT);
  page.setUint32(IdCtrl.NN, 1, true);
  page.setUint16(IdCtrl.ONCS, Oncs.DSM | Oncs.WRITE_ZEROES, true);
  page.setUint8(IdCtrl.VWC, 1);
  const name = `nqn.2014-08.org.nvmexpress:physio:${settings.serial}`;
  for (let i = 0; i < name.length; i++) bytes[IdCtrl.SUBNQN + i] = name.charCodeAt(i);
}

/** 5.15.2.1 */
export function identifyNamespace(page: DataView, settings: ChipSettings): void {
  putNumber(page, IdNs.NSZE, settings.sectors);
  putNumber(page, IdNs.NCAP, settings.sectors);
  putNumber(page, IdNs.NUSE, settings.sectors);
  page.setUint8(IdNs.DLFEAT, 1);
  page.setUint8(IdNs.LBAF0 + 2, Math.log2(settings.sectorSize));
}

/** 5.15.2.3: namespaces with an id above `after`. */
export function identifyActive(page: DataView, after: number): void {
  if (after < 1) page.setUint32(0, 1, true);
}
