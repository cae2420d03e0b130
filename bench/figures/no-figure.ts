/** Why there is no figure: what was to be measured could not be, or something else was measured. */
export class NoFigure extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'NoFigure'
  }
}

/** A program's work. Where there is no figure, it says why, and the program ends with 1. */
export async function orSayWhy(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof NoFigure)) throw error
    process.stderr.write(`no figure: ${error.message}\n`)
    process.exitCode = 1
  }
}
