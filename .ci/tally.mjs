/**
 * Reads a vitest JSON report and prints "passed failed": `node .ci/tally.mjs report.json exit-code wal2json|no-wal2json`.
 *
 * A skipped test counts as failed, since nobody looks at skips in CI. The exceptions are what eachPlugin leaves out on a
 * server that has no wal2json, where such a server was meant, and what wants containers where none were meant. So does a run that failed outside of any test.
 */
import { readFileSync } from 'node:fs'

const [file, exitCode, plugins] = process.argv.slice(2)
let passed = 0
let failed = 0
try {
  for (const { name, status, message, assertionResults } of JSON.parse(readFileSync(file, 'utf8'))
    .testResults) {
    for (const test of assertionResults) {
      const title = [...test.ancestorTitles, test.title].join(' > ')
      const isNotRunFor = (what) => test.ancestorTitles.some((t) => t.startsWith(`not run: ${what}`))
      const leftOut =
        (plugins === 'no-wal2json' && isNotRunFor('wal2json')) ||
        (process.env.WALHOOK_TEST_POSTGRES !== 'container' && isNotRunFor('containers'))
      if (test.status === 'passed') passed++
      else if (test.status === 'failed') failed++
      else if (!leftOut) {
        failed++
        console.error(`skipped, which counts as failed: ${title}`)
      }
    }
    if (status === 'failed' && !assertionResults.some((test) => test.status === 'failed')) {
      failed++
      console.error(`failed as a whole: ${name}: ${message}`)
    }
  }
  if (passed + failed === 0) throw new Error('no test was run')
} catch (error) {
  failed++
  console.error(`no usable report: ${error.message}`)
}
if (exitCode !== '0' && failed === 0) {
  failed++
  console.error(`the run ended with ${exitCode}, though no test failed`)
}
console.log(passed, failed)
