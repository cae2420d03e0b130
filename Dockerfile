# The sidecar. Needs BuildKit, which `docker compose` and current Docker use by themselves.
#
# Where npm needs settings to reach its registry, hand them over as a secret, which no layer keeps:
#   docker build --secret id=npmrc,src=$HOME/.npmrc -t walhook .

FROM node:24-trixie-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --omit=dev --omit=optional --omit=peer --ignore-scripts --no-audit --no-fund

FROM node:24-trixie-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY sql sql
COPY src src
USER node
# Inside a container, 127.0.0.1 would be reachable for nobody.
ENV WALHOOK_LISTEN=0.0.0.0:8788
EXPOSE 8788
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.WALHOOK_LISTEN.split(':').at(-1)}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "src/main.ts"]
CMD ["run"]
