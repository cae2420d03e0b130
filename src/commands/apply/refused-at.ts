/** What the database says against an entry of a file, told with the line of the field that is at fault. */
import { refusalOf } from '../../store/refusal.ts'
import { invalidInput } from '../refusal.ts'
import type { Places } from './configuration-file.ts'

/** Errors: `invalid_input`, in place of what Postgres refused; and whatever else `work` throws. */
export async function refusedAt<Result>(places: Places, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const refused = refusalOf(error)
    if (refused === undefined) throw error
    const place = (refused.field === undefined ? undefined : places.fields.get(refused.field)) ?? places.entry
    throw invalidInput(`${place}: ${refused.message}`)
  }
}
