import { randomUUID } from 'node:crypto';
import { Injectable, NotFoundException } from '@nestjs/common';
import { ApiProperty, PickType } from '@nestjs/swagger';
import { DataSource } from 'typeorm';
import { catalogue } from './catalogue.js';
import type { CreateOrderDto } from './dto/create-order.dto.js';
import { OrderHistory } from './order-history.entity.js';
import { OrderLifecycle } from './order-lifecycle.js';
import { Order } from './order.entity.js';

/** What happened to the order, as its customer may read it. */
export class HistoryEntry extends PickType(OrderHistory, ['at', 'status', 'note']) {}

export class OrderWithHistory extends Order {
  @ApiProperty({ type: [HistoryEntry] })
  history!: HistoryEntry[];
}

@Injectable()
export class OrdersService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly lifecycle: OrderLifecycle,
  ) {}

  /** The answer does not wait for the broker, and does not need one: the event is in the same commit as the order. */
  async place({ product, quantity }: CreateOrderDto): Promise<Order> {
    const order: Order = {
      id: randomUUID(),
      product,
      quantity,
      amount: quantity * catalogue[product],
      status: 'pending',
      createdAt: new Date(),
    };
    await this.dataSource.transaction((tx) => this.lifecycle.place(tx, order));
    return order;
  }

  list(): Promise<Order[]> {
    return this.dataSource.manager.find(Order, { order: { createdAt: 'DESC' }, take: 100 });
  }

  async get(id: string): Promise<OrderWithHistory> {
    const order = await this.dataSource.manager.findOneBy(Order, { id });
    if (!order) throw new NotFoundException(`There is no order ${id}.`);
    const history = await this.dataSource.manager.find(OrderHistory, {
      select: { at: true, status: true, note: true },
      where: { orderId: id },
      order: { id: 'ASC' },
    });
    return Object.assign(order, { history });
  }
}
