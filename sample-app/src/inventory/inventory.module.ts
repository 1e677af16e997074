import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { InventoryController } from './inventory.controller.js';
import { InventoryListener } from './inventory.listener.js';
import { Reservation } from './reservation.entity.js';
import { StockKeeper } from './stock-keeper.js';
import { Stock } from './stock.entity.js';

/** Owns the tables `stock` and `reservations`. */
@Module({
  imports: [TypeOrmModule.forFeature([Stock, Reservation])],
  controllers: [InventoryController],
  providers: [StockKeeper, InventoryListener],
})
export class InventoryModule {}
