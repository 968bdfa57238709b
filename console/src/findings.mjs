// What the watch found, where it is installed.
import {rows} from './ask.mjs';

const installed = async session => (await rows(session, "SELECT to_regclass('spine.findings') IS NOT NULL AS there"))[0].there;

export async function summary(session) {
  if (!await installed(session)) return {installed: false};
}
export async function list(session) {
  if (!await installed(session)) return {installed: false};
}
export async function page(session) { return {installed: await installed(session)}; }
export async function close() {}
