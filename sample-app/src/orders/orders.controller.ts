import { Body, Controller, Get, Param, ParseUUIDPipe, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { CreateOrderDto } from './dto/create-order.dto.js';
import { Order } from './order.entity.js';
import { OrdersService, OrderWithHistory } from './orders.service.js';

@Controller('orders')
@ApiTags('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Post()
  @ApiOperation({ summary: 'Place an order. It is confirmed or rejected later, by messages.' })
  @ApiCreatedResponse({ type: Order })
  place(@Body() request: CreateOrderDto): Promise<Order> {
    return this.orders.place(request);
  }

  @Get()
  @ApiOkResponse({ type: [Order] })
  list(): Promise<Order[]> {
    return this.orders.list();
  }

  @Get(':id')
  @ApiOkResponse({ type: OrderWithHistory })
  get(@Param('id', ParseUUIDPipe) id: string): Promise<OrderWithHistory> {
    return this.orders.get(id);
  }
}
