import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { OrderHistory } from './order-history.entity.js';
import { OrderLifecycle } from './order-lifecycle.js';
import { InventoryAnswersListener } from './inventory-answers.listener.js';
import { PaymentResultsListener } from './payment-results.listener.js';
import { Order } from './order.entity.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';

/** Owns the tables `orders` and `order_history`. */
@Module({
  imports: [TypeOrmModule.forFeature([Order, OrderHistory])],
  controllers: [OrdersController],
  providers: [OrdersService, OrderLifecycle, InventoryAnswersListener, PaymentResultsListener],
})
export class OrdersModule {}
