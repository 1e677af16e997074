export const PLAN = Symbol('ProcessPlan');
