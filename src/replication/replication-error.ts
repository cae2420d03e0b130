/** What Postgres answers on a replication connection, as an error that says what to do. */
import {
  errorCode,
  errorMessage,
  lacksPassword,
  WalhookError,
  type WalhookErrorCode,
} from '../lifecycle/errors.ts'

/** The line that lets a plugin in. Items stand unquoted: one quoted string would be stored as one wrong name. */
export function allowPluginRemedy(plugin: string): string {
  const allow = (items: string): string =>
    `Allow it with: ALTER SYSTEM SET output_plugin_libraries = ${items}; SELECT pg_reload_conf();`
  if (plugin === 'pgoutput') return allow('pgoutput, test_decoding')
  return `${allow(`pgoutput, test_decoding, ${plugin}`)} or set WALHOOK_PLUGIN=pgoutput and let Walhook make a new slot.`
}

export function replicationError(error: unknown, slotName: string, plugin: string): WalhookError {
  if (error instanceof WalhookError) return error
  const said = errorMessage(error)
  const told = (code: WalhookErrorCode, message: string, remedy?: string): WalhookError =>
    new WalhookError(code, message, { cause: error, ...(remedy === undefined ? {} : { remedy }) })

  switch (errorCode(error)) {
    case '55006':
      return told(
        'slot_in_use',
        `slot ${slotName} is streamed by another process: ${said}`,
        'This one waits and takes over when that one ends.',
      )
    case '42710':
      return told('slot_in_use', `slot ${slotName} was just made by another process: ${said}`)
    case '42704':
      // Making it again does not help: the log that the slot holds was written while there was none.
      if (said.includes('publication')) {
        return told(
          'slot_unreadable',
          `slot ${slotName} holds log that was written without its publication: ${said}`,
          'It is made anew, and the outbox is looked through for what it would have brought.',
        )
      }
      return told(
        'slot_missing',
        `slot ${slotName} does not exist: ${said}`,
        'It is made anew, and the outbox is looked through for what it would have brought.',
      )
    case '42501':
      return said.includes('output plugin')
        ? told('plugin_refused', `Postgres refuses the plugin ${plugin}: ${said}`, allowPluginRemedy(plugin))
        : told(
            'database_refused',
            `the login may not replicate: ${said}`,
            'Give it the right: ALTER ROLE … REPLICATION, or run sql/roles.sql.',
          )
    case '58P01':
      return told(
        'plugin_refused',
        `the server does not have the plugin ${plugin}: ${said}`,
        `Install ${plugin} on the server, or set WALHOOK_PLUGIN=pgoutput.`,
      )
    case '55000':
      return said.includes('wal_level')
        ? told(
            'database_refused',
            `the server cannot decode its log: ${said}`,
            'Set wal_level = logical and restart Postgres.',
          )
        : told(
            'slot_lost',
            `slot ${slotName} can no longer be read: ${said}`,
            'It is made anew, and the outbox is looked through for what it would have brought.',
          )
    case '53400':
      return told(
        'database_refused',
        `no replication slot is free: ${said}`,
        'Drop a slot that nobody uses, or raise max_replication_slots and restart Postgres.',
      )
    case '53300':
      return told(
        'database_unreachable',
        `no connection is free: ${said}`,
        'Raise max_wal_senders or max_connections, or close what is not needed.',
      )
    case '28P01':
    case '28000':
      return told(
        'database_refused',
        `Postgres refused the replication login: ${said}`,
        'Check WALHOOK_REPLICATION_URL (or DATABASE_URL), and that pg_hba.conf lets it in.',
      )
    default:
      return lacksPassword(error)
        ? told(
            'database_refused',
            'Postgres asks for a password, and the replication URL has none',
            'Write it into WALHOOK_REPLICATION_URL (or DATABASE_URL): postgres://user:password@host:5432/database.',
          )
        : told('stream_ended', `the replication connection ended: ${said}`)
  }
}
