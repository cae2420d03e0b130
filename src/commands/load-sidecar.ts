/**
 * The heavy half of the program (an HTTP server and client, pg-boss, pino), loaded by the commands that run it: the
 * others start in half the time.
 */

export async function loadSidecar(): Promise<{
  readonly startSidecar: typeof import('../sidecar.ts').startSidecar
  readonly createLogger: typeof import('../telemetry/logger.ts').createLogger
}> {
  const [{ startSidecar }, { createLogger }] = await Promise.all([
    import('../sidecar.ts'),
    import('../telemetry/logger.ts'),
  ])
  return { startSidecar, createLogger }
}

export async function loadDoctor(): Promise<typeof import('../doctor.ts').examine> {
  const { examine } = await import('../doctor.ts')
  return examine
}

export async function loadPreparation(): Promise<{
  readonly prepareSchema: typeof import('../prepare.ts').prepareSchema
  readonly prepareSlot: typeof import('../prepare.ts').prepareSlot
  readonly createLogger: typeof import('../telemetry/logger.ts').createLogger
}> {
  const [{ prepareSchema, prepareSlot }, { createLogger }] = await Promise.all([
    import('../prepare.ts'),
    import('../telemetry/logger.ts'),
  ])
  return { prepareSchema, prepareSlot, createLogger }
}
