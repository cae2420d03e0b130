/** What was done to the system, and when: written before it is done and after it has ended, so that no window is too short. */
import type { Fault, FaultKind } from './history.ts'

export class FaultLog {
  readonly #faults: { kind: FaultKind; what: string; from: number; until: number }[] = []

  get all(): readonly Fault[] {
    return this.#faults
  }

  count(kind: FaultKind): number {
    return this.#faults.filter((fault) => fault.kind === kind).length
  }

  /** Notes a fault that lasts from now on; the function that it returns notes its end. */
  begin(kind: FaultKind, what: string): () => void {
    const fault = { kind, what, from: Date.now(), until: Infinity }
    this.#faults.push(fault)
    return () => void (fault.until = Date.now())
  }

  /** Notes a fault that lasts as long as `work` does. */
  async during<T>(kind: FaultKind, what: string, work: () => Promise<T>): Promise<T> {
    const end = this.begin(kind, what)
    try {
      return await work()
    } finally {
      end()
    }
  }
}
