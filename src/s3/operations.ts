export type OperationName = 'PutObject'
