import { Body, Controller, Get, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import { CreateOrderDto } from './dto/create-order.dto.js';
import type { Order } from './order.entity.js';
import { OrdersService, type OrderWithHistory } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Post()
  place(@Body() request: CreateOrderDto): Promise<Order> {
    return this.orders.place(request);
  }

  @Get()
  list(): Promise<Order[]> {
    return this.orders.list();
  }

  @Get(':id')
  get(@Param('id', ParseUUIDPipe) id: string): Promise<OrderWithHistory> {
    return this.orders.get(id);
  }
}
