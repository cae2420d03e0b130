/** Signals: the first asks for a stop, the second does not ask. */

interface SignalSource {
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown
}

/** Aborted by the first SIGINT or SIGTERM; `now` is called by the second. */
export function untilSignal(source: SignalSource, now: () => void): AbortSignal {
  const asked = new AbortController()
  const onSignal = (): void => (asked.signal.aborted ? now() : asked.abort())
  source.on('SIGINT', onSignal)
  source.on('SIGTERM', onSignal)
  return asked.signal
}
