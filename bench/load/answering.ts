/** The other end of `Child`: answers what the benchmark asks, each question by the function of its name. */
import { errorMessage } from '../../src/lifecycle/errors.ts'

interface Asked {
  readonly question: string
  readonly details: readonly unknown[]
}

/** Unix milliseconds, with fractions: the same clock in every process of this machine. */
export function clock(): number {
  return performance.timeOrigin + performance.now()
}

export function answer(answers: Readonly<Record<string, (...details: never[]) => unknown>>): void {
  process.on('message', ({ question, details }: Asked) => {
    void (async () => {
      const find = answers[question]
      if (find === undefined) throw new Error(`there is no answer to ${question}`)
      return await find(...(details as never[]))
    })().then(
      (found) => process.send?.({ answer: found }),
      (error: unknown) => process.send?.({ error: errorMessage(error) }),
    )
  })
  process.on('disconnect', () => process.exit())
  // From a terminal they come to all of its processes: the benchmark ends first, and this one with it.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
}
