/** The program under test, and how its many processes are spared compiling it anew: that is half of what a command takes. */
import path from 'node:path'

const ROOT = path.join(import.meta.dirname, '..', '..')

export const MAIN = path.join(ROOT, 'src', 'main.ts')
export const COMPILED_ONCE = { NODE_COMPILE_CACHE: path.join(ROOT, 'node_modules', '.cache', 'walhook') }
