import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand, runOrThrow } from '../../src/demo/command.ts'
import { startDaemon } from '../../src/demo/daemon.ts'
import type { Daemon } from '../../src/demo/daemon.ts'
import { freePorts } from '../../src/demo/ports.ts'
import type { BackendCredentials } from '../../src/demo/seaweedfs.ts'

const packages = ['radosgw', 'ceph-mon', 'ceph-osd']
const minuteMs = 60_000

/**
 * Starts the smallest Ceph cluster on 127.0.0.1, its objects in memory: one monitor, one OSD and
 * the S3 gateway. Installs the packages if the user may.
 */
export async function startCephIn(
  dataDir: string,
  credentials: BackendCredentials,
): Promise<Daemon & { readonly endpoint: string }> {
  await installCeph()
  const [monitorPort = 0, gatewayPort = 0] = await freePorts(2)
  const cluster = await createCluster({ dataDir, monitorPort, gatewayPort })
  const daemons: Daemon[] = []
  const stop = async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop()
  }
  try {
    daemons.push(await startMonitor(cluster))
    daemons.push(await startStorage(cluster))
    const gateway = await startGateway(cluster)
    daemons.push(gateway)
    await createUser(cluster, credentials)
    return { ...gateway, stop, endpoint: cluster.endpoint }
  } catch (error) {
    await stop()
    throw error
  }
}

async function installCeph(): Promise<void> {
  if (await hasCeph()) return
  if (process.getuid?.() !== 0) {
    throw new Error(`needs the packages ${packages.join(' ')}, and only root can install them`)
  }
  process.stderr.write('installing Ceph with apt-get: takes some minutes, once\n')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const wait = ['-o', `DPkg::Lock::Timeout=${5 * 60}`]
  await runOrThrow('apt-get', ['update', ...wait], { timeoutMs: 5 * minuteMs, env })
  const install = ['install', '-y', '--no-install-recommends', ...wait, ...packages]
  await runOrThrow('apt-get', install, { timeoutMs: 20 * minuteMs, env })
}

async function hasCeph(): Promise<boolean> {
  const programs = ['ceph', 'ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'monmaptool']
  for (const program of programs) {
    const found = await runCommand('sh', ['-c', 'command -v "$0"', program], {
      timeoutMs: minuteMs,
    })
    if (found.code !== 0) return false
  }
  return true
}

interface Cluster {
  readonly dataDir: string
  readonly configFile: string
  readonly fsid: string
  readonly monitorAddress: string
  readonly endpoint: string
  readonly env: NodeJS.ProcessEnv
}

async function createCluster(options: {
  dataDir: string
  monitorPort: number
  gatewayPort: number
}): Promise<Cluster> {
  const { dataDir, monitorPort, gatewayPort } = options
  const fsid = randomUUID()
  const configFile = join(dataDir, 'ceph.conf')
  for (const folder of ['mon', 'osd', 'run', 'rgw']) await mkdir(join(dataDir, folder))
  const settings = {
    fsid,
    mon_host: `v1:127.0.0.1:${monitorPort}`,
    public_addr: '127.0.0.1',
    cluster_addr: '127.0.0.1',
    auth_cluster_required: 'none',
    auth_service_required: 'none',
    auth_client_required: 'none',
    auth_supported: 'none',
    ms_bind_msgr2: false,
    run_dir: join(dataDir, 'run'),
    admin_socket: join(dataDir, 'run', '$name.asok'),
    pid_file: join(dataDir, 'run', '$name.pid'),
    log_file: join(dataDir, '$name.log'),
    mon_data: join(dataDir, 'mon'),
    osd_data: join(dataDir, 'osd'),
    rgw_data: join(dataDir, 'rgw'),
    osd_objectstore: 'memstore',
    memstore_device_bytes: 4 * 1024 ** 3,
    osd_pool_default_size: 1,
    osd_pool_default_min_size: 1,
    osd_pool_default_pg_num: 8,
    osd_pool_default_pgp_num: 8,
    osd_crush_chooseleaf_type: 0,
    // The OSD would ask the monitor for its place before it knows the cluster's id, and give up.
    osd_crush_update_on_start: false,
    osd_class_update_on_start: false,
    mon_allow_pool_size_one: true,
    mon_warn_on_pool_no_redundancy: false,
    mon_data_avail_warn: 1,
    mon_data_avail_crit: 1,
    mon_max_pg_per_osd: 2000,
    osd_max_object_name_len: 2048,
    rgw_frontends: `beast endpoint=127.0.0.1:${gatewayPort}`,
    rgw_crypt_require_ssl: false,
    rgw_dns_name: 'localhost',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  await writeFile(configFile, `[global]\n${lines.join('\n')}\n`)
  const env = { PATH: process.env['PATH'], HOME: dataDir, CEPH_CONF: configFile }
  const monitorAddress = `[v1:127.0.0.1:${monitorPort}]`
  const endpoint = `http://127.0.0.1:${gatewayPort}`
  return { dataDir, configFile, fsid, monitorAddress, endpoint, env }
}

async function startMonitor(cluster: Cluster): Promise<Daemon> {
  const map = join(cluster.dataDir, 'monmap')
  const create = ['--create', '--clobber', '--fsid', cluster.fsid]
  await command(cluster, 'monmaptool', [...create, '--addv', 'a', cluster.monitorAddress, map])
  await command(cluster, 'ceph-mon', ['--mkfs', '-i', 'a', '--monmap', map])
  return daemon(cluster, 'ceph-mon', {
    args: ['-f', '-i', 'a'],
    ready: async () => (await ceph(cluster, ['-s'])) !== '',
  })
}

async function startStorage(cluster: Cluster): Promise<Daemon> {
  const uuid = randomUUID()
  await ceph(cluster, ['osd', 'crush', 'tree'])
  const id = (await ceph(cluster, ['osd', 'new', uuid])).trim()
  await command(cluster, 'ceph-osd', ['-i', id, '--mkfs', '--osd-uuid', uuid])
  const place = ['root=default', 'host=localhost']
  await ceph(cluster, ['osd', 'crush', 'add', `osd.${id}`, '1.0', ...place])
  return daemon(cluster, 'ceph-osd', {
    args: ['-f', '-i', id],
    ready: async () => (await ceph(cluster, ['osd', 'stat'])).includes('1 up'),
  })
}

function startGateway(cluster: Cluster): Promise<Daemon> {
  return daemon(cluster, 'radosgw', {
    args: ['-f', '-n', 'client.rgw'],
    ready: async (signal) => {
      const response = await fetch(cluster.endpoint, { signal })
      await response.arrayBuffer()
      return response.status < 500
    },
  })
}

async function createUser(cluster: Cluster, credentials: BackendCredentials): Promise<void> {
  const { accessKeyId, secretAccessKey } = credentials
  const names = ['--uid=test', '--display-name=test']
  const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`]
  await command(cluster, 'radosgw-admin', ['user', 'create', ...names, ...keys])
}

async function command(cluster: Cluster, program: string, args: string[]): Promise<string> {
  const options = { timeoutMs: minuteMs, env: cluster.env }
  return (await runOrThrow(program, ['-c', cluster.configFile, ...args], options)).stdout
}

function ceph(cluster: Cluster, args: string[]): Promise<string> {
  return command(cluster, 'ceph', ['--connect-timeout', '5', ...args])
}

function daemon(
  cluster: Cluster,
  program: string,
  options: { args: string[]; ready: (signal: AbortSignal) => Promise<boolean> },
): Promise<Daemon> {
  return startDaemon(program, [...options.args, '-c', cluster.configFile], {
    name: program,
    env: cluster.env,
    logFile: join(cluster.dataDir, `${program}.out`),
    ready: options.ready,
    readyTimeoutMs: 2 * minuteMs,
  })
}
