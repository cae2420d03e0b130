/** Every setting is explained where it is parsed, and the help's defaults are the ones that hold. */
import { expect, test } from 'vitest'
import { describeSettings, parseConfig, SETTINGS_HELP } from '../../src/config.ts'

const DATABASE_URL = 'postgres://user:password@localhost/database'

test('every setting that is parsed has a line of meaning, and no other name has one', () => {
  const described = describeSettings()
  expect(described.map(({ name }) => name)).toEqual(Object.keys(SETTINGS_HELP))
  for (const { meaning } of described) expect(meaning).toMatch(/^\S.{10,}[^.]$/)
})

test('only the database has to be named', () => {
  expect(describeSettings().filter(({ isRequired }) => isRequired)).toMatchObject([{ name: 'DATABASE_URL' }])
})

test('a default that is written out means what leaving it out means', () => {
  const spelledOut = describeSettings().flatMap(({ name, defaultText }) =>
    defaultText === undefined ? [] : [[name, defaultText] as const],
  )
  expect(spelledOut.length).toBeGreaterThan(8)
  expect(parseConfig({ DATABASE_URL, ...Object.fromEntries(spelledOut) })).toEqual(
    parseConfig({ DATABASE_URL }),
  )
})
