/**
 * What changed, as it changes: hints from the server (`/v1/live`, server-sent events), and where they do not come, a hint of
 * everything every few seconds. A hint says that something may look different, never how: whoever hears it asks again.
 */

/** @typedef {'delivery' | 'subscription' | 'slot' | 'stats'} HintKind */
/** @typedef {'live' | 'polling' | 'waiting'} LiveState */

const KINDS = /** @type {const} */ (['delivery', 'subscription', 'slot', 'stats'])
/** The server ends each stream after some minutes, and the browser comes again: nobody has to hear of it. */
const COMES_BACK_WITHIN_MS = 6000
const POLL_EVERY_MS = 5000
const TRY_AGAIN_AFTER_MS = 30_000
/** A burst of hints is one. */
const SETTLE_MS = 250
const AT_MOST_EVERY_MS = 1000

export class Live {
  /** @type {EventSource | undefined} */
  #source
  /** @type {LiveState} */
  #state = 'waiting'
  /** @type {Set<(kind: HintKind) => void>} */
  #listeners = new Set()
  /** @type {(state: LiveState) => void} */
  #onState
  /** @type {AbortSignal} */
  #signal
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #missing

  /**
   * @param {{ onState: (state: LiveState) => void, signal: AbortSignal }} options
   */
  constructor({ onState, signal }) {
    this.#onState = onState
    this.#signal = signal
    this.#connect()
    const timer = setInterval(() => {
      if (this.#state !== 'live' && !document.hidden) for (const kind of KINDS) this.#tell(kind)
    }, POLL_EVERY_MS)
    // Whatever was missed while nobody looked.
    const catchUp = () => {
      if (!document.hidden) for (const kind of KINDS) this.#tell(kind)
    }
    document.addEventListener('visibilitychange', catchUp, { signal })
    signal.addEventListener('abort', () => {
      clearInterval(timer)
      clearTimeout(this.#missing)
      this.#source?.close()
    })
  }

  /**
   * Calls `listener` some time after hints of these kinds: at once for the first, at most once a second after it.
   * @param {readonly HintKind[]} kinds
   * @param {() => void} listener
   * @param {AbortSignal} signal
   */
  onChange(kinds, listener, signal) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer
    let lastMs = 0
    const hear = (/** @type {HintKind} */ kind) => {
      if (!kinds.includes(kind) || timer !== undefined) return
      const waitMs = Math.max(SETTLE_MS, lastMs + AT_MOST_EVERY_MS - performance.now())
      timer = setTimeout(() => {
        timer = undefined
        lastMs = performance.now()
        listener()
      }, waitMs)
    }
    this.#listeners.add(hear)
    signal.addEventListener('abort', () => {
      this.#listeners.delete(hear)
      clearTimeout(timer)
    })
  }

  #connect() {
    if (this.#signal.aborted) return
    const source = new EventSource('/v1/live')
    this.#source = source
    source.addEventListener('open', () => {
      clearTimeout(this.#missing)
      const isBack = this.#state !== 'waiting'
      this.#become('live')
      if (isBack) for (const kind of KINDS) this.#tell(kind)
    })
    source.addEventListener('error', () => {
      const isOver = source.readyState === EventSource.CLOSED
      clearTimeout(this.#missing)
      this.#missing = setTimeout(() => this.#become('polling'), isOver ? 0 : COMES_BACK_WITHIN_MS)
      if (isOver) setTimeout(() => this.#connect(), TRY_AGAIN_AFTER_MS)
    })
    source.addEventListener('message', ({ data }) => {
      const kind = kindOf(data)
      if (kind !== undefined) this.#tell(kind)
    })
  }

  /** @param {LiveState} state */
  #become(state) {
    if (this.#state === state) return
    this.#state = state
    this.#onState(state)
  }

  /** @param {HintKind} kind */
  #tell(kind) {
    for (const listener of this.#listeners) listener(kind)
  }
}

/** @param {string} data @returns {HintKind | undefined} */
function kindOf(data) {
  try {
    const { kind } = JSON.parse(data)
    return KINDS.find((each) => each === kind)
  } catch {
    return undefined
  }
}

/** @type {Live | undefined} */
let live

/** @param {Live} started */
export function useLive(started) {
  live = started
}

/** @type {Live['onChange']} */
export function onChange(kinds, listener, signal) {
  live?.onChange(kinds, listener, signal)
}
