/** Every route that there is, by resource: the one list. */
import type { LiveHints } from '../live-hints.ts'
import type { Database } from '../store/database.ts'
import { addApiKeyRoutes } from './api-keys.ts'
import type { ApiApp } from './app.ts'
import type { AuthenticationPorts } from './authentication.ts'
import { addDeliveryRoutes } from './deliveries.ts'
import { addEventTypeRoutes } from './event-types.ts'
import { addEventRoutes } from './events.ts'
import { addLiveRoutes } from './live.ts'
import { addMeRoutes } from './me.ts'
import { addReplayRoutes } from './replays.ts'
import { addPortalLinkRoutes, addSessionRoutes } from './portal-links.ts'
import { addProbes, type ProbePorts } from './probes.ts'
import { addSubscriptionActionRoutes } from './subscription-actions.ts'
import { addSubscriptionRoutes } from './subscriptions.ts'
import { addSlotRoutes, type SlotPorts } from './slot.ts'
import { addStatsRoutes } from './stats.ts'

/** What routes need of the rest of the process. */
export interface ApiPorts extends AuthenticationPorts, ProbePorts, SlotPorts {
  /** A pool of the API's own. */
  readonly database: Database
  readonly hints: LiveHints
}

export function addRoutes(app: ApiApp, ports: ApiPorts): void {
  addProbes(app, ports)
  addMeRoutes(app)
  addApiKeyRoutes(app, ports)
  addEventTypeRoutes(app, ports)
  addEventRoutes(app, ports)
  addDeliveryRoutes(app, ports)
  addReplayRoutes(app, ports)
  addPortalLinkRoutes(app, ports)
  addSessionRoutes(app, ports)
  addSubscriptionRoutes(app, ports)
  addSubscriptionActionRoutes(app, ports)
  addLiveRoutes(app, ports)
  addStatsRoutes(app, ports)
  addSlotRoutes(app, ports)
}
