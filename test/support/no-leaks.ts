/**
 * For every test: once it has ended and its sidecars have, nothing that they said held a secret or a payload. Registered
 * first, so that it runs last, behind the tests' own clean-up.
 */
import { beforeEach } from 'vitest'
import { assertNothingLeaked } from './leak-watch.ts'

beforeEach(({ onTestFinished }) => {
  onTestFinished(assertNothingLeaked)
})
