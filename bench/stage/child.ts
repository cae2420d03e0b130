/** A process of the benchmark's own that answers questions, one after the other, over IPC. Ended by its own handle. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

export class Child<Answers extends Record<string, unknown>> implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #name: string
  #last: Promise<unknown> = Promise.resolve()

  constructor(file: URL) {
    this.#name = file.pathname.split('/').at(-1) ?? ''
    // Advanced: Maps and typed arrays come over as such.
    this.#process = fork(file, { serialization: 'advanced' })
  }

  get pid(): number {
    return this.#process.pid ?? -1
  }

  /** Rejects with the child's own words where it could not do as asked. */
  ask<Question extends keyof Answers & string>(
    question: Question,
    ...details: unknown[]
  ): Promise<Answers[Question]> {
    const answered = this.#last.then(() => this.#ask<Answers[Question]>(question, details))
    this.#last = answered.catch(() => undefined)
    return answered
  }

  async #ask<Answer>(question: string, details: readonly unknown[]): Promise<Answer> {
    const listening = new AbortController()
    const { signal } = listening
    try {
      this.#process.send({ question, details })
      const [reply] = (await Promise.race([
        once(this.#process, 'message', { signal }),
        once(this.#process, 'exit', { signal }).then(([code]) =>
          Promise.reject(new Error(`${this.#name} ended with ${code} while it was asked: ${question}`)),
        ),
      ])) as [{ answer: Answer } | { error: string }]
      if ('error' in reply) throw new Error(`${this.#name}: ${reply.error}`)
      return reply.answer
    } finally {
      listening.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
  }
}
