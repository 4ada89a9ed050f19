/** User metadata with this prefix is ours alone (`docs/format.md` §3). */
export const reservedMetadataPrefix = 'x-amz-meta-nebulaio-'
