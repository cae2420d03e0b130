/** Looks at something now and then while something else goes on. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Does `work`; looks when it begins, every so many milliseconds, and once more when it has ended. */
export async function whileLooking<Result>(
  everyMs: number,
  look: () => Promise<void>,
  work: () => Promise<Result>,
): Promise<Result> {
  await look()
  const ended = new AbortController()
  const looking = (async () => {
    while (!ended.signal.aborted) {
      await sleep(everyMs, undefined, { signal: ended.signal }).catch(() => undefined)
      await look()
    }
  })()
  try {
    return await work()
  } finally {
    ended.abort()
    // What it looks at may be gone afterwards.
    await looking
  }
}
