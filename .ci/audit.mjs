/**
 * Asks the configured registry about what we ship: known vulnerabilities of production dependencies, and the registry's
 * signatures of all that is installed. `node .ci/audit.mjs [options for npm]`.
 *
 * Ends with 1 where it reports something high or critical, or a signature is wrong; with 3 where the registry could not
 * be asked (no network, or a mirror without these endpoints), which is no failure but is said aloud; with 0 otherwise.
 * Never prints a registry's address.
 */
import { spawnSync } from 'node:child_process'

const LIMIT_MS = 90_000
const options = process.argv.slice(2)
const verdicts = [audited(), signed()]
process.exitCode = verdicts.includes('bad') ? 1 : verdicts.includes('unasked') ? 3 : 0

function audited() {
  const { report, reason } = npm('audit', '--omit=dev')
  const counts = report?.metadata?.vulnerabilities
  if (counts === undefined)
    return unasked('NOT AUDITED: nobody said whether production dependencies are vulnerable', reason)
  const grave = Object.values(report.vulnerabilities).filter(({ severity }) =>
    ['high', 'critical'].includes(severity),
  )
  for (const { name, severity, range } of grave) console.log(`${severity}: ${name} ${range}`)
  const all = Object.entries(counts).filter(([severity, count]) => severity !== 'total' && count > 0)
  console.log(`vulnerable: ${all.map(([severity, count]) => `${count} ${severity}`).join(', ') || 'none'}`)
  return grave.length > 0 ? 'bad' : 'good'
}

function signed() {
  const { report, reason } = npm('audit', 'signatures')
  if (!Array.isArray(report?.invalid)) return unasked('SIGNATURES NOT CHECKED', reason)
  for (const { name, version } of report.invalid) console.log(`wrong signature: ${name} ${version}`)
  console.log(`signatures: ${report.invalid.length} wrong, ${report.missing.length} missing`)
  return report.invalid.length > 0 ? 'bad' : 'good'
}

/** What npm reported, or why it could not. Ends the run where that is our own doing and no registry's. */
function npm(...args) {
  const { stdout, error } = spawnSync('npm', [...args, '--json', '--fetch-retries=1', ...options], {
    encoding: 'utf8',
    timeout: LIMIT_MS,
    maxBuffer: 2 ** 28,
  })
  if (error?.code === 'ETIMEDOUT') return { reason: `no answer within ${LIMIT_MS / 1000} s` }
  if (error !== undefined) throw error
  let report
  try {
    report = JSON.parse(stdout)
  } catch {
    return { reason: 'npm printed no report' }
  }
  const code = report.error?.code
  if (['ENOLOCK', 'EUSAGE', 'EAUDITNOLOCK'].includes(code))
    throw new Error(`npm ${args.join(' ')}: ${report.error.summary}`)
  return { report, reason: reasonOf(report) }
}

function reasonOf({ statusCode, message = '', error = {} }) {
  if (statusCode !== undefined) return `the registry answered ${statusCode}`
  return /\bE[A-Z]{4,}\b/.exec(`${error.code} ${message}`)?.[0] ?? 'the registry gave no report'
}

function unasked(what, reason) {
  const rule = '*'.repeat(78)
  console.log(
    `${rule}\n*  ${what}.\n*  Why: ${reason}. Run this again where the registry can be asked.\n${rule}`,
  )
  return 'unasked'
}
