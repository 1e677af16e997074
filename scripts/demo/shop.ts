export interface OrderView {
  readonly id: string;
  readonly product: string;
  readonly quantity: number;
  readonly amount: number;
  readonly status: string;
}

export interface HistoryView {
  readonly at: string;
  readonly status: string;
  readonly note: string;
}

export interface StockView {
  readonly product: string;
  readonly initial: number;
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
}

export interface ReservationView {
  readonly orderId: string;
  readonly product: string;
  readonly quantity: number;
  readonly status: string;
}

export interface MessagingView {
  readonly outbox: { readonly pending: number; readonly retrying: number; readonly dead: number };
  /** Since the application started. */
  readonly handled: number;
  readonly duplicates: number;
  readonly retried: number;
  readonly deadLettered: number;
}

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** The sample application as its clients see it: HTTP and nothing else. */
export class Shop {
  constructor(
    private readonly url: string,
    private readonly operatorKey = '',
  ) {}

  order(product: string, quantity: number): Promise<Answer<OrderView>> {
    return this.post('/orders', JSON.stringify({ product, quantity }));
  }

  pay(orderId: string): Promise<Answer<unknown>> {
    return this.post(`/orders/${orderId}/pay`);
  }

  async orders(): Promise<readonly OrderView[]> {
    return this.get('/orders');
  }

  async find(orderId: string): Promise<OrderView & { readonly history: readonly HistoryView[] }> {
    return this.get(`/orders/${orderId}`);
  }

  async stock(): Promise<readonly StockView[]> {
    return this.get('/inventory');
  }

  async reservations(): Promise<readonly ReservationView[]> {
    return this.get('/inventory/reservations');
  }

  async messaging(): Promise<MessagingView> {
    return this.get('/operations/messaging');
  }

  /** Any body, for requests that are wrong on purpose. */
  async post<T>(path: string, body?: string): Promise<Answer<T>> {
    const response = await fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body !== undefined && { body }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path, { headers: { 'x-operator-key': this.operatorKey } });
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  }
}
