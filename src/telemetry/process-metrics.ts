/** What is counted of the process itself: its event loop, its connections to the database, its version. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

const PROBE_EVERY_MS = 200

export interface PoolLoad {
  /** Connections that are open, and those of them that nobody uses. */
  readonly open: number
  readonly idle: number
  /** Callers that wait for one. */
  readonly waiting: number
}

export class ProcessMetrics {
  readonly #registry: Registry
  readonly #loopDelay: Histogram
  readonly #poolWait: Histogram
  readonly #spans: Counter<'outcome'>

  constructor(registry: Registry, version: string) {
    this.#registry = registry
    const registers = [registry]
    this.#loopDelay = new Histogram({
      name: 'walhook_event_loop_delay_seconds',
      help: 'How late a timer of this process came, looked at five times a second',
      buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
      registers,
    })
    this.#poolWait = new Histogram({
      name: 'walhook_database_wait_seconds',
      help: 'How long statements and transactions waited for a connection of the pool',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10],
      registers,
    })
    this.#spans = new Counter({
      name: 'walhook_spans_total',
      help: 'Spans of traces: made, and of them those that the collector took (exported) or did not (failed). What is neither was dropped, since the queue was full, or is under way',
      labelNames: ['outcome'] as const,
      registers,
    })
    new Gauge({
      name: 'walhook_build_info',
      help: '1, with the version of Walhook',
      labelNames: ['version'] as const,
      registers,
    }).set({ version }, 1)
  }

  waitedForConnection(ms: number): void {
    this.#poolWait.observe(ms / 1000)
  }

  spans(outcome: 'made' | 'exported' | 'failed', count: number): void {
    this.#spans.inc({ outcome }, count)
  }

  observePool(read: () => PoolLoad): void {
    // oxlint-disable-next-line no-new -- the registry keeps it
    new Gauge({
      name: 'walhook_database_connections',
      help: 'Connections of the pool that are in use and idle, and callers that wait for one',
      labelNames: ['state'] as const,
      registers: [this.#registry],
      collect() {
        const { open, idle, waiting } = read()
        this.set({ state: 'used' }, open - idle)
        this.set({ state: 'idle' }, idle)
        this.set({ state: 'awaited' }, waiting)
      },
    })
  }

  /** Until `signal` aborts. */
  watchEventLoop(signal: AbortSignal): void {
    let dueAt = performance.now() + PROBE_EVERY_MS
    const timer = setInterval(() => {
      const now = performance.now()
      this.#loopDelay.observe(Math.max(0, now - dueAt) / 1000)
      dueAt = now + PROBE_EVERY_MS
    }, PROBE_EVERY_MS)
    timer.unref()
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  }
}
