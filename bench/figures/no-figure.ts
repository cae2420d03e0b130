/** Why there is no figure: what was to be measured could not be, or something else was measured. */
export class NoFigure extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'NoFigure'
  }
}
