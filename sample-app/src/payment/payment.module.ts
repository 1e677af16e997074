import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PaymentController } from './payment.controller.js';
import { Payment } from './payment.entity.js';
import { PaymentListener } from './payment.listener.js';
import { PaymentService } from './payment.service.js';

/** Owns the table `payments`. */
@Module({
  imports: [TypeOrmModule.forFeature([Payment])],
  controllers: [PaymentController],
  providers: [PaymentService, PaymentListener],
})
export class PaymentModule {}
