FROM node:26 AS build
WORKDIR /build
COPY package.json package-lock.json tsconfig.json ./
RUN npm ci --no-audit --no-fund
COPY src src
RUN node node_modules/typescript/bin/tsc --project src/tsconfig.json
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:26-slim
ENV NODE_ENV=production
WORKDIR /opt/nebulaio
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
# State and local keys; a new volume takes over the owner and mode.
RUN install --directory --owner=node --group=node --mode=0700 /var/lib/nebulaio
USER node
VOLUME /var/lib/nebulaio
EXPOSE 9000 9001
HEALTHCHECK --start-period=30s --interval=10s --timeout=5s CMD ["node", "-e", \
  "fetch('http://127.0.0.1:9001/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node itself is the first process, so that it gets the signals.
CMD ["node", "dist/main.js", "serve", "--config", "/etc/nebulaio/config.yaml"]
