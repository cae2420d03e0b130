/** The settings that a test's sidecar runs with, in this process or in one of its own. */
import type { TestDatabase } from './test-database.ts'

export type Plugin = 'wal2json' | 'pgoutput'
export type Environment = Readonly<Record<string, string>>

/** The settings of a sidecar on `db`: webhooks to this machine are allowed, the template was migrated already. */
export function sidecarEnvironment(db: TestDatabase, plugin: Plugin | 'auto'): Environment {
  return {
    DATABASE_URL: db.url,
    WALHOOK_SLOT: db.slot,
    WALHOOK_PLUGIN: plugin,
    WALHOOK_LISTEN: '127.0.0.1:0',
    WALHOOK_ALLOW_HTTP: 'true',
    WALHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
    WALHOOK_AUTO_MIGRATE: 'false',
    WALHOOK_LOG_LEVEL: 'debug',
    // Endpoints that hang must not hold the end of their test up.
    WALHOOK_SHUTDOWN_GRACE: '1s',
  }
}
